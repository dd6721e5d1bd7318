// An independent Privacy Pass client at a running hub: it is challenged, draws, and spends, with
// the types 0x0001 and 0x0002, one at a time and as a generic batch.
//
//   node draw-and-spend.mjs http://127.0.0.1:8420
//
// Ends with a line of what was done, or with an error.

import assert from "node:assert/strict";
import {
  AuthorizationHeader,
  MediaType,
  PRIVATE_TOKEN_ISSUER_DIRECTORY,
  WWWAuthenticateHeader,
  fetchToken,
  genericBatched,
  privateVerif,
  publicVerif,
} from "@cloudflare/privacypass-ts";

const hub = process.argv[2];
assert(hub, "the hub's address");

// The package speaks https alone; a hub under test is on loopback.
const plainFetch = globalThis.fetch;
globalThis.fetch = (url, options) =>
  plainFetch(String(url).replace("https://127.0.0.1", "http://127.0.0.1"), options);

/// A look-up in the account world, padded to 512 bytes; it costs one token.
function lookUp(handle) {
  const name = new TextEncoder().encode(handle);
  // version, type, handle, nobody signs, no tokens in the envelope
  const request = [0, 1, 0, 32, name.length, ...name, 0, 0];
  const padding = 512 - request.length - 2;
  return Uint8Array.from([...request, 0x40 | (padding >> 8), padding & 0xff, ...Array(padding).fill(0)]);
}

async function ask(handle, authorization) {
  const headers = { "content-type": "application/octet-stream" };
  if (authorization) headers.authorization = authorization;
  const answer = await fetch(`${hub}/connection_request`, {
    method: "POST",
    headers,
    body: lookUp(handle),
  });
  const body = new Uint8Array(await answer.arrayBuffer());
  return { status: answer.status, headers: answer.headers, type: body[2] * 256 + body[3] };
}

const ENTRY = 4;
const REJECTED = 0;

async function challenges() {
  const answer = await ask("somebody");
  assert.equal(answer.status, 401);
  assert.equal(answer.type, REJECTED);
  const header = answer.headers.get("www-authenticate");
  return WWWAuthenticateHeader.parse(header);
}

function ofType(offered, type) {
  const found = offered.find((header) => header.challenge.tokenType === type);
  assert(found, `no challenge of type ${type}`);
  return found;
}

const KINDS = [
  [1, () => new privateVerif.Client()],
  [2, () => new publicVerif.Client(publicVerif.BlindRSAMode.PSS)],
];

async function spend(authorization, name) {
  const first = await ask(name, authorization);
  assert.equal(first.status, 200, "a good token");
  assert.equal(first.type, ENTRY);
  const again = await ask(name, authorization);
  assert.equal(again.status, 200, "the same request again");
  const other = await ask(`${name}x`, authorization);
  assert.equal(other.status, 403, "another request with a spent token");
}

let spent = 0;

// The directory, as its RFC has it.
const directory = await fetch(`${hub}${PRIVATE_TOKEN_ISSUER_DIRECTORY}`);
assert.equal(directory.status, 200);
assert.equal(directory.headers.get("content-type"), MediaType.PRIVATE_TOKEN_ISSUER_DIRECTORY);
const { "token-keys": keys } = await directory.json();
for (const [type] of KINDS) {
  assert(keys.some((key) => key["token-type"] === type), `no key of type ${type}`);
}

// One at a time, several times: the origin mixes in challenges of reserved types.
for (let round = 0; round < 8; round++) {
  for (const [type, client] of KINDS) {
    const header = ofType(await challenges(), type);
    const token = await fetchToken(client(), header);
    await spend(token.toString(round % 2 === 0), `r${round}t${type}`);
    spent++;
  }
}

// A generic batch of both types.
const offered = await challenges();
const batch = [];
for (const [type, client] of [...KINDS, ...KINDS]) {
  const { challenge, tokenKey } = ofType(offered, type);
  const one = client();
  const request = await one.createTokenRequest(challenge, tokenKey);
  batch.push({ one, request: new genericBatched.TokenRequest(request) });
}
const generic = new genericBatched.Client();
const answer = await fetch(`${hub}/token-request`, {
  method: "POST",
  headers: { "content-type": MediaType.GENERIC_BATCHED_TOKEN_REQUEST },
  body: generic.createTokenRequest(batch.map(({ request }) => request)).serialize(),
});
assert.equal(answer.status, 200);
assert.equal(answer.headers.get("content-type"), MediaType.GENERIC_BATCHED_TOKEN_RESPONSE);
const responses = generic.deserializeTokenResponse(new Uint8Array(await answer.arrayBuffer()));
let index = 0;
for (const { tokenResponse } of responses) {
  const token = await batch[index].one.finalize(tokenResponse);
  await spend(new AuthorizationHeader(token).toString(true), `batch${index}`);
  index++;
  spent++;
}
assert.equal(index, batch.length);

// A token with one bit changed.
const forged = await fetchToken(KINDS[0][1](), ofType(await challenges(), 1));
forged.token.authenticator[0] ^= 1;
assert.equal((await ask("forged", forged.toString(true))).status, 403);

console.log(`${spent} tokens of the types 1 and 2 drawn and spent`);
