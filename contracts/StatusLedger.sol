// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IStatusLedger} from "./IStatusLedger.sol";

/// @title StatusLedger
/// @notice The implementation of {IStatusLedger}. Not upgradeable: a new version is a new deployment, and the hash
/// chain of each bank carries its history across.
contract StatusLedger is IStatusLedger, AccessControl, EIP712 {
    /* STORAGE */

    /// @dev The present record of one binding, in two slots:
    ///
    ///            255     224 223               96 95             48 47            0
    ///   slot 0   | zero (32) |     tag (128)     | effectiveAtMs (48) | publication (48) |
    ///   slot 1   |                          sealedTerms (256)                            |
    ///
    /// Slot 0 is packed by hand (`_pack`), because the compiler would write a packed struct field by field.
    struct Stored {
        uint256 packed;
        bytes32 sealedTerms;
    }

    mapping(bytes11 bank => Bank) private _banks;
    mapping(bytes11 bank => mapping(bytes32 binding => Stored)) private _records;

    /* CONSTANTS */

    /// @inheritdoc IStatusLedger
    uint256 public constant MAX_ATTESTATIONS = 500;
    /// @inheritdoc IStatusLedger
    uint48 public constant AHEAD_ALLOWANCE_MS = 10_000;
    /// @inheritdoc IStatusLedger
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");
    /// @inheritdoc IStatusLedger
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");

    bytes32 private constant ATTESTATION_TYPEHASH =
        keccak256("Attestation(bytes32 binding,uint48 effectiveAtMs,bytes16 tag,bytes32 sealedTerms)");
    bytes32 private constant PUBLICATION_TYPEHASH = keccak256(
        "Publication(bytes11 bank,uint48 number,bytes32 previous,uint48 watermarkMs,Attestation[] attestations)"
        "Attestation(bytes32 binding,uint48 effectiveAtMs,bytes16 tag,bytes32 sealedTerms)"
    );

    /* CONSTRUCTION */

    /// @param governor May grant and revoke the two roles below, and nothing else.
    /// @param registrar May admit and reinstate banks.
    /// @param guardian May suspend a bank.
    constructor(address governor, address registrar, address guardian) EIP712("Standing StatusLedger", "1") {
        _grantRole(DEFAULT_ADMIN_ROLE, governor);
        _grantRole(REGISTRAR_ROLE, registrar);
        _grantRole(GUARDIAN_ROLE, guardian);
    }

    /* THE BANK'S WORD */

    /// @inheritdoc IStatusLedger
    function publish(
        bytes11 bank,
        uint48 number,
        uint48 watermarkMs,
        Attestation[] calldata attestations,
        bytes calldata signature
    ) external {
        Bank storage issuer = _banks[bank];
        address signer = issuer.signer;
        if (signer == address(0)) revert BankNotAdmitted(bank); // 1
        if (issuer.suspended) revert BankIsSuspended(bank); // 2
        if (attestations.length > MAX_ATTESTATIONS) {
            revert TooManyAttestations(attestations.length, MAX_ATTESTATIONS); // 3
        }
        if (number != issuer.publication + 1) revert UnexpectedNumber(number, issuer.publication + 1); // 4
        if (watermarkMs < issuer.watermarkMs) revert WatermarkBackwards(watermarkMs, issuer.watermarkMs); // 5
        uint48 latestMs = _latestMs();
        if (watermarkMs > latestMs) revert WatermarkAhead(watermarkMs, latestMs); // 5

        bytes32[] memory bindings = new bytes32[](attestations.length);
        bytes32 digest = _digest(bank, number, issuer.head, watermarkMs, attestations, bindings);
        // A staticcall at most, also for a contract that signs (ERC-1271): nothing can be re-entered from here.
        if (!SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature)) {
            revert WrongSignature(digest, signer); // 6
        }

        _store(_records[bank], number, latestMs, attestations); // 7
        issuer.publication = number;
        issuer.watermarkMs = watermarkMs;
        issuer.head = digest;
        emit Published(bank, number, watermarkMs, digest, bindings);
    }

    /// @inheritdoc IStatusLedger
    /// @dev No bound on the number of queries: it changes nothing, and the node that serves the call bounds its gas.
    function read(Query[] calldata queries)
        external
        view
        returns (uint256 blockNumber, uint256 blockTimeS, Record[] memory records)
    {
        records = new Record[](queries.length);
        for (uint256 i = 0; i < queries.length; ++i) {
            Bank storage issuer = _banks[queries[i].bank];
            Stored storage stored = _records[queries[i].bank][queries[i].binding];
            uint256 packed = stored.packed;
            records[i] = Record({
                publication: uint48(packed),
                effectiveAtMs: _effectiveAtMs(packed),
                tag: bytes16(uint128(packed >> 96)),
                sealedTerms: stored.sealedTerms,
                watermarkMs: issuer.watermarkMs,
                suspended: issuer.suspended
            });
        }
        return (block.number, block.timestamp, records);
    }

    /// @inheritdoc IStatusLedger
    function getBank(bytes11 bank) external view returns (Bank memory) {
        return _banks[bank];
    }

    /* GOVERNANCE */

    /// @inheritdoc IStatusLedger
    /// @dev The form of the BIC is not checked here: the registrar's tools do, and a malformed one harms nobody else.
    function admit(bytes11 bank, address signer, address admin, uint48 number, bytes32 head)
        external
        onlyRole(REGISTRAR_ROLE)
    {
        if (bank == bytes11(0) || signer == address(0) || admin == address(0)) revert ZeroNotAllowed();
        if ((number == 0) != (head == bytes32(0))) revert IncompleteHistory(number, head);
        Bank storage issuer = _banks[bank];
        if (issuer.signer != address(0)) revert BankAlreadyAdmitted(bank);
        issuer.signer = signer;
        issuer.admin = admin;
        issuer.publication = number;
        issuer.head = head;
        emit BankAdmitted(bank, signer, admin, number, head);
    }

    /// @inheritdoc IStatusLedger
    function suspend(bytes11 bank) external onlyRole(GUARDIAN_ROLE) {
        Bank storage issuer = _admitted(bank);
        if (issuer.suspended) revert BankIsSuspended(bank);
        issuer.suspended = true;
        emit BankSuspended(bank, msg.sender);
    }

    /// @inheritdoc IStatusLedger
    function reinstate(bytes11 bank, address signer, address admin) external onlyRole(REGISTRAR_ROLE) {
        Bank storage issuer = _admitted(bank);
        if (!issuer.suspended) revert BankNotSuspended(bank);
        if (signer == address(0) || admin == address(0)) revert ZeroNotAllowed();
        issuer.signer = signer;
        issuer.admin = admin;
        issuer.suspended = false;
        emit BankReinstated(bank, signer, admin);
    }

    /// @inheritdoc IStatusLedger
    /// @dev Allowed while suspended: it cannot end the suspension, and `reinstate` names the signer anew.
    function rotateSigner(bytes11 bank, address signer) external {
        Bank storage issuer = _admitted(bank);
        if (msg.sender != issuer.admin) revert NotBankAdmin(bank, msg.sender);
        if (signer == address(0)) revert ZeroNotAllowed();
        emit SignerRotated(bank, issuer.signer, signer);
        issuer.signer = signer;
    }

    /* INTERNALS */

    function _admitted(bytes11 bank) private view returns (Bank storage issuer) {
        issuer = _banks[bank];
        if (issuer.signer == address(0)) revert BankNotAdmitted(bank);
    }

    /// @dev The latest time a bank may speak of. Fits 48 bits until the year 10889.
    function _latestMs() private view returns (uint48) {
        return uint48(block.timestamp * 1000) + AHEAD_ALLOWANCE_MS;
    }

    /// @dev The EIP-712 digest of a publication. Fills `bindings` on the way, for the event.
    ///
    /// The four words of an attestation stand in calldata just as EIP-712 encodes them, so they are hashed from there,
    /// without the checks of general ABI decoding. Nothing is lost: `_store` reads every field with the compiler's own
    /// range checks, and padding that is not clean gives a hash that no typed-data signer produces.
    function _digest(
        bytes11 bank,
        uint48 number,
        bytes32 previous,
        uint48 watermarkMs,
        Attestation[] calldata attestations,
        bytes32[] memory bindings
    ) private view returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](attestations.length);
        bytes32 typehash = ATTESTATION_TYPEHASH;
        bytes32 batch;
        assembly ("memory-safe") {
            let length := shl(5, mload(hashes))
            let encoded := mload(0x40)
            mstore(encoded, typehash)
            for { let at := 0x20 } iszero(gt(at, length)) { at := add(at, 0x20) } {
                let attestation := add(attestations.offset, shl(2, sub(at, 0x20)))
                calldatacopy(add(encoded, 0x20), attestation, 0x80)
                mstore(add(hashes, at), keccak256(encoded, 0xa0))
                mstore(add(bindings, at), calldataload(attestation))
            }
            batch := keccak256(add(hashes, 0x20), length)
        }
        return
            _hashTypedDataV4(keccak256(abi.encode(PUBLICATION_TYPEHASH, bank, number, previous, watermarkMs, batch)));
    }

    function _store(
        mapping(bytes32 binding => Stored) storage records,
        uint48 number,
        uint48 latestMs,
        Attestation[] calldata attestations
    ) private {
        for (uint256 i = 0; i < attestations.length; ++i) {
            Attestation calldata given = attestations[i];
            bytes32 binding = given.binding;
            uint48 givenMs = given.effectiveAtMs;
            Stored storage stored = records[binding];
            uint48 storedMs = _effectiveAtMs(stored.packed);
            if (givenMs < storedMs) revert EffectiveTimeBackwards(binding, givenMs, storedMs);
            if (givenMs > latestMs) revert EffectiveTimeAhead(binding, givenMs, latestMs);
            stored.packed = _pack(number, givenMs, given.tag);
            stored.sealedTerms = given.sealedTerms;
        }
    }

    function _pack(uint48 publication, uint48 effectiveAtMs, bytes16 tag) private pure returns (uint256) {
        return uint256(publication) | (uint256(effectiveAtMs) << 48) | (uint256(uint128(tag)) << 96);
    }

    function _effectiveAtMs(uint256 packed) private pure returns (uint48) {
        return uint48(packed >> 48);
    }
}
