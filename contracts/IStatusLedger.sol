// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Standing: the shared ledger of account status
/// @notice Banks write signed attestations about bindings; platforms read the latest one at transaction time.
///
/// The interface rests on three concepts:
///
/// - A *publication* is an ordered batch of attestations with a *watermark*, signed once by the bank (EIP-712) and
///   numbered 1, 2, 3 … without gaps. Anyone may submit it: only the signature matters.
/// - The *watermark* is the time up to which, as the bank states by its signature, all changes are on the ledger.
///   A publication without attestations is a heartbeat: it only advances the watermark.
/// - Each publication names the digest of the one before (`previous`), so a bank's history is a signed hash chain that
///   can be verified without this ledger and continued in another deployment.
///
/// All times are milliseconds since the Unix epoch, UTC. A bank is its BIC (ISO 9362) in ASCII, padded with zero bytes
/// on the right. What an attestation says is sealed for one platform; this contract never sees it.
interface IStatusLedger {
    /* TYPES */

    /// @notice What a bank states about one binding, sealed.
    /// @dev The order and types of the fields are the EIP-712 type that the bank signs.
    struct Attestation {
        /// Id of the binding: 32 random bytes made by the bank.
        bytes32 binding;
        /// The seal's authentication tag (16 bytes), then the first 10 bytes of the sealed terms.
        bytes26 tagAndHead;
        /// The other 32 bytes of the sealed terms.
        bytes32 tail;
    }

    /// @notice What the ledger holds about a bank.
    struct Bank {
        /// The key, or the ERC-1271 contract, whose signature makes a publication. Zero: not admitted.
        address signer;
        /// Number of the last publication, 0 before the first.
        uint48 publication;
        /// Watermark of the last publication, 0 before the first in this deployment.
        uint48 watermarkMs;
        /// The account that may rotate the signer.
        address admin;
        /// While true, the bank cannot publish, and readers must not rely on its attestations.
        bool suspended;
        /// EIP-712 digest of the last publication, 0 before the first.
        bytes32 head;
    }

    /// @notice One thing to look up: a binding at a bank.
    struct Query {
        bytes11 bank;
        bytes32 binding;
    }

    /// @notice The answer to one query; every field is zero (or false) where the ledger holds nothing.
    struct Record {
        /// Number of the publication that wrote the record. Zero: there is no record.
        uint48 publication;
        bytes26 tagAndHead;
        bytes32 tail;
        /// The bank's present watermark, not the one of the record's publication.
        uint48 watermarkMs;
        /// Whether the bank is suspended now.
        bool suspended;
    }

    /* ERRORS */

    /// @notice Check 1: the bank was never admitted to this ledger.
    error BankNotAdmitted(bytes11 bank);
    /// @notice Check 2: the bank is suspended.
    error BankIsSuspended(bytes11 bank);
    /// @notice Check 3: the batch is larger than `MAX_ATTESTATIONS`.
    error TooManyAttestations(uint256 given, uint256 allowed);
    /// @notice Check 4: not the number after the last one: a lower one is a replay, a higher one leaves a gap.
    error UnexpectedNumber(uint48 given, uint48 expected);
    /// @notice Check 5: the watermark is below the last one.
    error WatermarkBackwards(uint48 givenMs, uint48 lastMs);
    /// @notice Check 5: the watermark is more than `AHEAD_ALLOWANCE_MS` ahead of the block's time.
    error WatermarkAhead(uint48 givenMs, uint48 latestMs);
    /// @notice Check 6: the signature over `digest` is not the bank's signer's.
    /// @dev `digest` already covers the ledger's own `head` as `previous`: a publication that was signed on top of
    /// another history fails here.
    error WrongSignature(bytes32 digest, address signer);

    /// @notice The bank is admitted already.
    error BankAlreadyAdmitted(bytes11 bank);
    /// @notice The bank is not suspended, so there is nothing to reinstate.
    error BankNotSuspended(bytes11 bank);
    /// @notice The zero bank, or a zero address where a signer or an admin is needed.
    error ZeroNotAllowed();
    /// @notice A history to continue needs both its number and its head; a new bank needs neither.
    error IncompleteHistory(uint48 number, bytes32 head);
    /// @notice Only the bank's own admin may do this.
    error NotBankAdmin(bytes11 bank, address caller);

    /* EVENTS */

    /// @notice A publication was accepted.
    /// @param digest Its EIP-712 digest, now the bank's `head`.
    /// @param bindings The bindings it wrote, in the order of its attestations; empty for a heartbeat.
    event Published(
        bytes11 indexed bank, uint48 indexed number, uint48 watermarkMs, bytes32 digest, bytes32[] bindings
    );
    /// @notice A bank was admitted; its next publication is `number + 1` on top of `head`.
    event BankAdmitted(bytes11 indexed bank, address signer, address admin, uint48 number, bytes32 head);
    /// @notice A bank was suspended by the guardian `by`.
    event BankSuspended(bytes11 indexed bank, address by);
    /// @notice A suspended bank was reinstated with these keys.
    event BankReinstated(bytes11 indexed bank, address signer, address admin);
    /// @notice A bank's signer was replaced; signatures of the old one are refused from this transaction on.
    event SignerRotated(bytes11 indexed bank, address previousSigner, address signer);

    /* PUBLISHING AND READING */

    /// @notice Publishes a batch of attestations and a watermark, or nothing at all.
    /// @dev The checks run in this order, which is also the precedence of their errors:
    /// 1. the bank is admitted; 2. it is not suspended; 3. at most `MAX_ATTESTATIONS`; 4. `number` is the last plus
    /// one; 5. the watermark is not below the last and not more than `AHEAD_ALLOWANCE_MS` ahead of the block's time;
    /// 6. the signature is the signer's.
    ///
    /// A binding never rolls back, because numbers never do: a record is only ever replaced by one of a later
    /// publication. The time at which the terms took effect is sealed, so nothing here compares it.
    /// @param bank The issuer.
    /// @param number The publication's number.
    /// @param watermarkMs The time up to which all changes of this bank are on the ledger.
    /// @param attestations The batch, in order; a binding may occur more than once, and the last one counts.
    /// @param signature ECDSA (r, s, v) by the signer, or whatever its ERC-1271 contract accepts.
    function publish(
        bytes11 bank,
        uint48 number,
        uint48 watermarkMs,
        Attestation[] calldata attestations,
        bytes calldata signature
    ) external;

    /// @notice Reads any number of bindings from one state.
    /// @param queries What to look up; an unknown bank or binding is answered by zeros and never fails the others.
    /// @return blockNumber Number of the block whose state was read.
    /// @return blockTimeS Time of that block, in seconds.
    /// @return records One record for each query, in order; fixed-size words only.
    function read(Query[] calldata queries)
        external
        view
        returns (uint256 blockNumber, uint256 blockTimeS, Record[] memory records);

    /// @notice What the ledger holds about `bank`; all zeros where it was never admitted.
    function getBank(bytes11 bank) external view returns (Bank memory);

    /* GOVERNANCE */

    /// @notice Admits a bank. Registrar only.
    /// @param number Number of the last publication of the history to continue, 0 for a new bank.
    /// @param head Digest of that publication, 0 for a new bank.
    function admit(bytes11 bank, address signer, address admin, uint48 number, bytes32 head) external;

    /// @notice Suspends a bank at once. Guardian only.
    function suspend(bytes11 bank) external;

    /// @notice Ends a suspension. Registrar only.
    /// @dev A suspension puts the bank's keys in doubt, so the registrar sets the ones that are valid from now on. A bank
    /// that lost its admin key recovers in the same way; that takes both roles, and two public events.
    function reinstate(bytes11 bank, address signer, address admin) external;

    /// @notice Replaces the bank's signer; signatures of the old one are refused at once. The bank's admin only.
    function rotateSigner(bytes11 bank, address signer) external;

    /* BOUNDS AND ROLES */

    // Named as constants, which they are; slither wants functions in mixed case.
    // slither-disable-start naming-convention

    /// @notice The largest batch.
    function MAX_ATTESTATIONS() external view returns (uint256);

    /// @notice How far a watermark may be ahead of the block's time, in milliseconds.
    function AHEAD_ALLOWANCE_MS() external view returns (uint48);

    /// @notice May admit and reinstate banks; in production a multisig.
    function REGISTRAR_ROLE() external view returns (bytes32);

    /// @notice May suspend a bank.
    function GUARDIAN_ROLE() external view returns (bytes32);

    // slither-disable-end naming-convention
}
