// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IStatusLedger} from "./IStatusLedger.sol";

/// @title StatusLedger
/// @notice The implementation of {IStatusLedger}. Not upgradeable: a new version is a new deployment, and the hash
/// chain of each bank carries its history across.
//
// Findings of slither that the `slither-disable` comments suppress, with the reasons:
// timestamp: a validator can move a block's time by less than the allowance that is added to it.
// assembly: hashing, the event's data and the loop over calldata, each with its reason at that place.
contract StatusLedger is IStatusLedger, AccessControl, EIP712 {
    /* STORAGE */

    /// @dev The present record of one binding, in two slots:
    ///
    ///            255             208 207        80 79                         0
    ///   slot 0   | publication (48) | tag (128) | sealed terms, first 80 bits |
    ///   slot 1   |              sealed terms, last 256 bits                   |
    ///
    /// Slot 0 is packed by hand (in `_store`), because the compiler would write a packed struct field by field.
    struct Stored {
        uint256 packed;
        bytes32 tail;
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
        keccak256("Attestation(bytes32 binding,bytes26 tagAndHead,bytes32 tail)");
    bytes32 private constant PUBLICATION_TYPEHASH = keccak256(
        "Publication(bytes11 bank,uint48 number,bytes32 previous,uint48 watermarkMs,Attestation[] attestations)"
        "Attestation(bytes32 binding,bytes26 tagAndHead,bytes32 tail)"
    );

    /* CONSTRUCTION */

    /// @param governor May grant and revoke the roles of registrar and guardian, and nothing else.
    /// @param registrar May admit and reinstate banks.
    /// @param guardian May suspend a bank.
    constructor(address governor, address registrar, address guardian) EIP712("Standing StatusLedger", "1") {
        _grantRole(DEFAULT_ADMIN_ROLE, governor);
        _grantRole(REGISTRAR_ROLE, registrar);
        _grantRole(GUARDIAN_ROLE, guardian);
    }

    /* PUBLISHING AND READING */

    /// @inheritdoc IStatusLedger
    // slither-disable-next-line timestamp
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
        if (watermarkMs > _latestMs()) revert WatermarkAhead(watermarkMs, _latestMs()); // 5

        (bytes32 digest, uint256 eventData) = _digest(bank, number, issuer.head, watermarkMs, attestations);
        // At most a staticcall, even if the signer is a contract (ERC-1271): nothing can be re-entered from here.
        if (!SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature)) {
            revert WrongSignature(digest, signer); // 6
        }

        issuer.publication = number;
        issuer.watermarkMs = watermarkMs;
        issuer.head = digest;
        _store(_records[bank], number, attestations);
        _emitPublished(bank, number, watermarkMs, digest, eventData, attestations.length);
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
                publication: uint48(packed >> 208),
                tagAndHead: bytes26(uint208(packed)),
                tail: stored.tail,
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
    /// @dev Allowed while suspended: it cannot end the suspension, and `reinstate` sets the signer again.
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

    /// @dev The latest time that a bank may state. Fits 48 bits until the year 10889.
    function _latestMs() private view returns (uint48) {
        return uint48(block.timestamp * 1000) + AHEAD_ALLOWANCE_MS;
    }

    /// @dev The EIP-712 digest of a publication, and on the way the bindings for its event: `eventData` points at
    /// memory with room for the four words that the event's data begins with, then the bindings.
    ///
    /// Calldata holds the three words of an attestation exactly as EIP-712 encodes them, so they are hashed without
    /// decoding. `_store` reads the same words and refuses those that no typed-data signer produces.
    // slither-disable-next-line assembly
    function _digest(
        bytes11 bank,
        uint48 number,
        bytes32 previous,
        uint48 watermarkMs,
        Attestation[] calldata attestations
    ) private view returns (bytes32, uint256 eventData) {
        bytes32 typehash = ATTESTATION_TYPEHASH;
        bytes32 batch;
        assembly ("memory-safe") {
            eventData := mload(0x40)
            let binding := add(eventData, 0x80)
            let encoded := add(binding, shl(5, attestations.length))
            mstore(0x40, encoded)
            // Above the free memory pointer, used here only: typehash and one attestation, then the hashes of all.
            let hash := add(encoded, 0x80)
            let attestation := attestations.offset
            mstore(encoded, typehash)
            for {} lt(binding, encoded) { binding := add(binding, 0x20) } {
                calldatacopy(add(encoded, 0x20), attestation, 0x60)
                mstore(hash, keccak256(encoded, 0x80))
                mstore(binding, calldataload(attestation))
                hash := add(hash, 0x20)
                attestation := add(attestation, 0x60)
            }
            batch := keccak256(add(encoded, 0x80), shl(5, attestations.length))
        }
        bytes32 content = keccak256(abi.encode(PUBLICATION_TYPEHASH, bank, number, previous, watermarkMs, batch));
        return (_hashTypedDataV4(content), eventData);
    }

    /// @dev `emit Published(bank, number, watermarkMs, digest, bindings)`, without copying the bindings again.
    // slither-disable-next-line assembly
    function _emitPublished(
        bytes11 bank,
        uint256 publication,
        uint256 watermarkMs,
        bytes32 digest,
        uint256 eventData,
        uint256 count
    ) private {
        bytes32 topic = Published.selector;
        assembly ("memory-safe") {
            mstore(eventData, watermarkMs)
            mstore(add(eventData, 0x20), digest)
            mstore(add(eventData, 0x40), 0x60)
            mstore(add(eventData, 0x60), count)
            log3(eventData, add(0x80, shl(5, count)), topic, bank, publication)
        }
    }

    /// @dev The writes, attestation by attestation: where a binding occurs twice, the last one counts.
    ///
    /// The words are read in place, because general ABI decoding computes the offset again for each field. Therefore
    /// their padding is checked here: set bits below the 208 of `tagAndHead` revert, as in compiled code. A record's
    /// slot is that of `records[binding]`, computed as the compiler does, but the mapping's slot is written only once.
    // slither-disable-next-line assembly
    function _store(
        mapping(bytes32 binding => Stored) storage records,
        uint256 publication,
        Attestation[] calldata attestations
    ) private {
        assembly ("memory-safe") {
            mstore(0x20, records.slot)
            let attestation := attestations.offset
            let end := add(attestation, mul(attestations.length, 0x60))
            for {} lt(attestation, end) { attestation := add(attestation, 0x60) } {
                let tagAndHead := calldataload(add(attestation, 0x20))
                if shl(208, tagAndHead) { revert(0, 0) }
                mstore(0, calldataload(attestation))
                let recordSlot := keccak256(0, 0x40)
                sstore(recordSlot, or(shl(208, publication), shr(48, tagAndHead)))
                sstore(add(recordSlot, 1), calldataload(add(attestation, 0x40)))
            }
        }
    }
}
