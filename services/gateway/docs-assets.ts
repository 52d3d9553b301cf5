import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";

/** A script of the page at `/docs`. */
export interface Asset {
  text: Uint8Array<ArrayBuffer>;
  /** As brotli, where it is kept so. */
  br?: Uint8Array<ArrayBuffer>;
  tag: string;
}

const vendored = join(import.meta.dirname, "vendor/scalar/standalone.js.br");

let scalar: Promise<Asset> | undefined;

/** Scalar's API reference, one file with all that it needs: read when it is first asked for. */
export function scalarScript(): Promise<Asset> {
  scalar ??= readFile(vendored).then((br) =>
    asset(new Uint8Array(brotliDecompressSync(br)), new Uint8Array(br)),
  );
  return scalar;
}

/**
 * Starts the reference. Scalar makes a style element by script without the page's nonce, which a policy without
 * `unsafe-inline` refuses: here every style element that a script makes gets it. It asks nobody but this shop.
 */
const start = `const { nonce } = document.currentScript;
const create = Document.prototype.createElement;
Document.prototype.createElement = function (name, ...rest) {
  const made = create.call(this, name, ...rest);
  if (String(name).toLowerCase() === "style") made.nonce = nonce;
  return made;
};
document.addEventListener("DOMContentLoaded", () => {
  Scalar.createApiReference("#reference", {
    url: "/openapi.json",
    proxyUrl: "",
    withDefaultFonts: false,
    telemetry: false,
    agent: { disabled: true, hideAddApi: true },
    mcp: { disabled: true },
    showDeveloperTools: "never",
    hideClientButton: true,
    metaData: { title: "Souk: the API" },
  });
});
`;

export const startScript: Asset = asset(new TextEncoder().encode(start));

function asset(text: Uint8Array<ArrayBuffer>, br?: Uint8Array<ArrayBuffer>): Asset {
  const tag = `"${createHash("sha256").update(text).digest("base64url").slice(0, 27)}"`;
  return { text, tag, ...(br ? { br } : {}) };
}
