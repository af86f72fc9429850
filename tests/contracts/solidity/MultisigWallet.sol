// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A wallet of three owners, any two of whom sign
/// @notice Stands in the tests for the contract wallet of a bank that splits its signing key (ERC-1271).
contract MultisigWallet is IERC1271 {
    mapping(address account => bool) private _isOwner;

    constructor(address[3] memory owners) {
        for (uint256 i = 0; i < owners.length; ++i) {
            _isOwner[owners[i]] = true;
        }
    }

    /// @inheritdoc IERC1271
    /// @param signature Two ECDSA signatures (65 bytes each) by two owners, the lower address first.
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (signature.length != 130) return 0xffffffff;
        (address first, ECDSA.RecoverError firstError,) = ECDSA.tryRecover(digest, signature[:65]);
        (address second, ECDSA.RecoverError secondError,) = ECDSA.tryRecover(digest, signature[65:]);
        bool recovered = firstError == ECDSA.RecoverError.NoError && secondError == ECDSA.RecoverError.NoError;
        bool valid = recovered && first < second && _isOwner[first] && _isOwner[second];
        return valid ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
