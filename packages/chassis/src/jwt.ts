import type { JWTHeaderParameters, JWTPayload } from "jose";

/** A token's parts before its signature is checked: nothing to rely on, but enough to refuse much. */
export interface Unchecked {
  header: JWTHeaderParameters & { kid: string };
  payload: JWTPayload;
}

/** Far more than a token of ours takes, and less than checking signatures for nothing should cost. */
const longest = 8 * 1024;
/** What a header of an access token may have. Any other member asks for something that is not done here (RFC 8725 section 3). */
const headerMembers = new Set(["alg", "typ", "kid"]);

/**
 * Reads a signed JWT in the one form that is taken here: compact, with a key named by `kid` and nothing in the
 * header that would name a key another way (`jwk`, `jku`, `x5c`, `x5u`), change what is signed (`b64`, `crit`) or nest
 * another token (`cty`); and no member twice, since readers differ on which of them counts.
 * @throws {Error} saying what is wrong with it
 */
export function readToken(token: string): Unchecked {
  if (token.length > longest) throw new Error(`the token is longer than ${longest} characters`);
  const parts = token.split(".");
  const [first = "", second = "", signature = ""] = parts;
  if (parts.length !== 3 || signature === "") throw new Error("the token is not a signed JWT");
  const header = readPart(first, "header");
  const payload = readPart(second, "payload");
  const foreign = Object.keys(header).find((name) => !headerMembers.has(name));
  if (foreign !== undefined) throw new Error(`the header must not have "${foreign.slice(0, 40)}"`);
  const { kid } = header;
  if (typeof kid !== "string" || kid === "") throw new Error("the header does not name a key");
  return { header: { ...(header as unknown as JWTHeaderParameters), kid }, payload };
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function readPart(part: string, name: string): Record<string, unknown> {
  // Node's decoder skips what does not belong; one token must not have several spellings.
  const bytes = Buffer.from(part, "base64url");
  if (bytes.toString("base64url") !== part) throw new Error(`the ${name} is not base64url`);
  let text: string;
  let value: unknown;
  try {
    text = decoder.decode(bytes);
    value = JSON.parse(text);
  } catch {
    throw new Error(`the ${name} is not JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`the ${name} is not an object`);
  if (members(value) !== colons(text)) throw new Error(`the ${name} has a member twice`);
  return value as Record<string, unknown>;
}

/** The members of all objects in a value. */
function members(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inside = Object.values(value).reduce((sum: number, one) => sum + members(one), 0);
  return Array.isArray(value) ? inside : inside + Object.keys(value).length;
}

/** The members that a JSON text writes down: its colons outside of strings. */
const colons = (json: string): number => json.replace(/"(?:[^"\\]|\\.)*"/g, "").split(":").length - 1;
