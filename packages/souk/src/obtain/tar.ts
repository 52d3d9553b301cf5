import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import { createGunzip } from "node:zlib";

const BLOCK = 512;

/**
 * Writes the one file of that name in a .tar.gz, whatever folder it is in there, to `target`. False when there is
 * none. Nothing else of the archive is written, so that its paths need not be trusted.
 */
export async function extractFile(archive: string, name: string, target: string): Promise<boolean> {
  let rest: Buffer = Buffer.alloc(0);
  let out: FileHandle | null = null;
  let left = 0; // bytes of the current file that are still to come
  let skip = 0; // bytes to pass over: another file's, or the padding behind one
  const source = createReadStream(archive);
  const unzipped = source.pipe(createGunzip());
  source.once("error", (error) => unzipped.destroy(error));
  try {
    for await (const piece of unzipped as AsyncIterable<Buffer>) {
      rest = rest.length ? Buffer.concat([rest, piece]) : piece;
      while (rest.length > 0) {
        if (out && left > 0) {
          const part = rest.subarray(0, left);
          await out.write(part);
          left -= part.length;
          rest = rest.subarray(part.length);
          if (left === 0) return true;
        } else if (skip > 0) {
          const passed = Math.min(skip, rest.length);
          skip -= passed;
          rest = rest.subarray(passed);
        } else {
          if (rest.length < BLOCK) break;
          const entry = header(rest.subarray(0, BLOCK));
          rest = rest.subarray(BLOCK);
          if (entry?.isFile && basename(entry.name) === name) {
            out = await open(target, "w", 0o755);
            left = entry.size;
            if (left === 0) return true;
          } else if (entry) skip = Math.ceil(entry.size / BLOCK) * BLOCK;
        }
      }
    }
  } finally {
    await out?.close();
    source.destroy();
  }
  return false;
}

function header(block: Buffer): { name: string; size: number; isFile: boolean } | null {
  const text = (from: number, length: number) =>
    block
      .toString("utf8", from, from + length)
      .replace(/\0.*$/s, "")
      .trim();
  if (!text(0, 100)) return null; // a block of zeros: the end
  return { name: text(0, 100), size: Number.parseInt(text(124, 12), 8), isFile: /^0?$/.test(text(156, 1)) };
}
