// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title A contract signer that misbehaves
/// @notice Answers ERC-1271 in the ways that a careless verifier would take for a yes.
contract HostileWallet {
    enum Way {
        WrongMagic,
        True,
        ShortMagic,
        Silence,
        Revert,
        RevertWithMagic,
        Reenter
    }

    Way private immutable _way;
    address private _target;
    bytes private _call;

    constructor(Way way) {
        _way = way;
    }

    /// @notice What `Way.Reenter` calls while it is asked about a signature.
    function arm(address target, bytes calldata call) external {
        _target = target;
        _call = call;
    }

    function isValidSignature(bytes32, bytes calldata) external returns (bytes32) {
        bytes32 magic = bytes32(this.isValidSignature.selector);
        if (_way == Way.WrongMagic) return bytes32(bytes4(0xffffffff));
        if (_way == Way.True) return bytes32(uint256(1));
        if (_way == Way.Revert) revert("no");
        if (_way == Way.Reenter) {
            (bool success,) = _target.call(_call);
            require(success, "re-entry failed");
            return magic;
        }
        if (_way == Way.ShortMagic) {
            assembly ("memory-safe") {
                mstore(0, magic)
                return(0, 4)
            }
        }
        if (_way == Way.RevertWithMagic) {
            assembly ("memory-safe") {
                mstore(0, magic)
                revert(0, 32)
            }
        }
        assembly ("memory-safe") {
            return(0, 0)
        }
    }
}
