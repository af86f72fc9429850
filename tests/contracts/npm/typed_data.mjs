// Reads {typedData, signature or null, key} as JSON, answers {digest, recovered, signature} as ethers computes them.
import { readFileSync } from "node:fs";
import { TypedDataEncoder, Wallet, recoverAddress } from "ethers";

const { typedData, signature, key } = JSON.parse(readFileSync(0, "utf8"));
const { EIP712Domain, ...types } = typedData.types; // ethers makes the domain's own type by itself
const { domain, message } = typedData;

const digest = TypedDataEncoder.hash(domain, types, message);
const recovered = signature === null ? null : recoverAddress(digest, signature);
const own = await new Wallet(key).signTypedData(domain, types, message);
console.log(JSON.stringify({ digest, recovered, signature: own }));
