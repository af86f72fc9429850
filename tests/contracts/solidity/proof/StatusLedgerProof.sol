// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IStatusLedger} from "./IStatusLedger.sol";
import {StatusLedger} from "./StatusLedger.sol";

/// @dev The cheat codes used here, of Foundry's and halmos' address.
interface Cheats {
    function assume(bool condition) external;
    function prank(address caller) external;
    function warp(uint256 timeS) external;
}

interface SymbolicCheats {
    function enableSymbolicStorage(address account) external;
    function createCalldata(string calldata contractName) external returns (bytes memory);
    function createAddress(string calldata name) external returns (address);
    function createUint256(string calldata name) external returns (uint256);
}

/// @title What is proved about StatusLedger by symbolic execution
/// @notice Every parameter of a `check_` function is symbolic, and so is all storage of the ledger: each check is about
/// one step from *any* state, reachable or not, so what holds after a step from any state holds after any number of steps.
contract StatusLedgerProof {
    Cheats private constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    SymbolicCheats private constant svm = SymbolicCheats(address(uint160(uint256(keccak256("svm cheat code")))));

    bytes32 private constant ATTESTATION_TYPEHASH =
        keccak256("Attestation(bytes32 binding,bytes26 tagAndHead,bytes32 tail)");
    bytes32 private constant PUBLICATION_TYPEHASH = keccak256(
        "Publication(bytes11 bank,uint48 number,bytes32 previous,uint48 watermarkMs,Attestation[] attestations)"
        "Attestation(bytes32 binding,bytes26 tagAndHead,bytes32 tail)"
    );
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    StatusLedger private ledger;

    function setUp() public {
        ledger = new StatusLedger(address(0xa1), address(0xa2), address(0xa3));
        svm.enableSymbolicStorage(address(ledger));
        uint256 timeS = svm.createUint256("timeS");
        vm.assume(timeS < 2 ** 37);
        vm.warp(timeS);
    }

    /* AUTHORISATION */

    /// @notice Whatever the state: an accepted publication carries the signature of the bank's signer over its digest.
    function check_publish_needs_the_signers_signature(
        bytes11 bank,
        uint48 number,
        uint48 watermarkMs,
        IStatusLedger.Attestation memory attestation,
        bytes32 r,
        bytes32 s,
        uint8 v
    ) public {
        IStatusLedger.Bank memory before = ledger.getBank(bank);
        vm.assume(before.signer.code.length == 0);
        IStatusLedger.Attestation[] memory batch = new IStatusLedger.Attestation[](1);
        batch[0] = attestation;
        ledger.publish(bank, number, watermarkMs, batch, abi.encodePacked(r, s, v));
        bytes32 digest = _digest(bank, number, before.head, watermarkMs, batch);
        assert(before.signer != address(0));
        assert(ecrecover(digest, v, r, s) == before.signer);
        assert(!before.suspended);
        assert(ledger.getBank(bank).head == digest);
    }

    /// @notice Whatever the state and the caller: a call other than `publish` leaves a bank as it is, unless the caller
    /// holds a role or is the bank's admin; and it leaves every record as it is, whoever calls. Nor does it set a bank's
    /// number back, given that only admitted banks have one, and it leaves that so.
    function check_only_roles_and_the_admin_change_a_bank(bytes11 bank, bytes32 binding, address caller) public {
        IStatusLedger.Bank memory before = ledger.getBank(bank);
        IStatusLedger.Record memory record = _record(bank, binding);
        bool may = ledger.hasRole(ledger.REGISTRAR_ROLE(), caller) || ledger.hasRole(ledger.GUARDIAN_ROLE(), caller)
            || caller == before.admin;
        bytes memory data = svm.createCalldata("StatusLedger");
        vm.assume(bytes4(data) != IStatusLedger.publish.selector);
        vm.prank(caller);
        (bool success,) = address(ledger).call(data);
        vm.assume(success);
        IStatusLedger.Bank memory after_ = ledger.getBank(bank);
        assert(_sameRecord(record, _record(bank, binding)));
        if (!may) assert(keccak256(abi.encode(before)) == keccak256(abi.encode(after_)));
        if (before.signer != address(0) || before.publication == 0) {
            assert(after_.publication >= before.publication);
            assert(after_.signer != address(0) || after_.publication == 0);
        }
    }

    /* NO ROLLBACK */

    /// @notice Whatever the state: an accepted publication has the number after the bank's last, and the watermark is not
    /// lower. Afterwards each binding's record has either the same words or the number of this publication, which is higher
    /// than the record's own was, given that no record's number was past its bank's; and that stays so.
    /// @dev It is so at the start, where there are no records. A publication of another bank and every other call leave a
    /// record as it is and set no number back: see the checks above and below.
    function check_no_rollback(
        bytes11 bank,
        uint48 number,
        uint48 watermarkMs,
        IStatusLedger.Attestation memory one,
        IStatusLedger.Attestation memory two,
        bytes32 binding,
        bytes32 r,
        bytes32 s
    ) public {
        IStatusLedger.Bank memory before = ledger.getBank(bank);
        vm.assume(before.signer.code.length == 0);
        IStatusLedger.Record memory record = _record(bank, binding);
        IStatusLedger.Attestation[] memory batch = new IStatusLedger.Attestation[](2);
        batch[0] = one;
        batch[1] = two;
        ledger.publish(bank, number, watermarkMs, batch, abi.encodePacked(r, s, uint8(27)));
        IStatusLedger.Bank memory after_ = ledger.getBank(bank);
        assert(after_.publication == before.publication + 1);
        assert(after_.watermarkMs >= before.watermarkMs);
        assert(after_.watermarkMs <= block.timestamp * 1000 + 10_000);
        assert(after_.signer == before.signer && after_.admin == before.admin);
        IStatusLedger.Record memory written = _record(bank, binding);
        if (!_sameRecord(record, written)) {
            assert(written.publication == number && number == after_.publication);
            assert(written.publication > record.publication || record.publication > before.publication);
        }
        assert(written.publication <= after_.publication || record.publication > before.publication);
    }

    /// @notice Whatever the state: an accepted publication writes its attestation's binding as given, and nothing else.
    function check_a_publication_writes_its_bindings_alone(
        bytes11 bank,
        uint48 watermarkMs,
        IStatusLedger.Attestation memory attestation,
        bytes11 otherBank,
        bytes32 otherBinding,
        bytes32 r,
        bytes32 s
    ) public {
        IStatusLedger.Bank memory before = ledger.getBank(bank);
        vm.assume(before.signer.code.length == 0);
        vm.assume(otherBank != bank || otherBinding != attestation.binding);
        IStatusLedger.Record memory other = _record(otherBank, otherBinding);
        bytes32 otherState = keccak256(abi.encode(ledger.getBank(otherBank)));
        IStatusLedger.Attestation[] memory batch = new IStatusLedger.Attestation[](1);
        batch[0] = attestation;
        uint48 number = before.publication + 1;
        ledger.publish(bank, number, watermarkMs, batch, abi.encodePacked(r, s, uint8(28)));
        IStatusLedger.Record memory written = _record(bank, attestation.binding);
        assert(written.publication == number);
        assert(written.tagAndHead == attestation.tagAndHead && written.tail == attestation.tail);
        assert(_sameRecord(other, _record(otherBank, otherBinding)));
        if (otherBank != bank) assert(keccak256(abi.encode(ledger.getBank(otherBank))) == otherState);
    }

    /* HELPERS */

    function _record(bytes11 bank, bytes32 binding) private view returns (IStatusLedger.Record memory) {
        IStatusLedger.Query[] memory queries = new IStatusLedger.Query[](1);
        queries[0] = IStatusLedger.Query(bank, binding);
        (,, IStatusLedger.Record[] memory records) = ledger.read(queries);
        return records[0];
    }

    /// @dev The record's own words; the bank's watermark and suspension are the bank's.
    function _sameRecord(IStatusLedger.Record memory one, IStatusLedger.Record memory other) private pure returns (bool) {
        return one.publication == other.publication && one.tagAndHead == other.tagAndHead && one.tail == other.tail;
    }

    /// @dev EIP-712 once more, the plain way.
    function _digest(
        bytes11 bank,
        uint48 number,
        bytes32 previous,
        uint48 watermarkMs,
        IStatusLedger.Attestation[] memory batch
    ) private view returns (bytes32) {
        bytes memory hashes;
        for (uint256 i = 0; i < batch.length; ++i) {
            hashes = abi.encodePacked(hashes, keccak256(abi.encode(ATTESTATION_TYPEHASH, batch[i])));
        }
        bytes32 content =
            keccak256(abi.encode(PUBLICATION_TYPEHASH, bank, number, previous, watermarkMs, keccak256(hashes)));
        bytes32 domain = keccak256(
            abi.encode(
                DOMAIN_TYPEHASH, keccak256("Standing StatusLedger"), keccak256("1"), block.chainid, address(ledger)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }
}
