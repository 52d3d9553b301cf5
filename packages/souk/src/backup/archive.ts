/** One file of many: a tar, zipped, and sealed with a passphrase where there is one. */
import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from "node:crypto";
import { createReadStream, createWriteStream, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { create, extract } from "tar";
import { BackupError, ours } from "./manifest.ts";

// What begins a sealed one: this, 16 bytes of salt and 12 of nonce. What ends it: 16 bytes that prove it whole.
const magic = Buffer.from("SOUKBAK1");
const saltBytes = 16;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = magic.length + saltBytes + nonceBytes;
const algorithm = "aes-256-gcm";

/** RFC 7914; some 128 MiB and a quarter of a second for each guess. */
const keyOf = (passphrase: string, salt: Buffer): Buffer =>
  scryptSync(passphrase.normalize(), salt, 32, { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 });

/** Packs files of a folder into a new archive that only its owner can read; it is on disk when this resolves. */
export async function pack(
  folder: string,
  files: string[],
  target: string,
  { passphrase, signal }: { passphrase?: string; signal?: AbortSignal } = {},
): Promise<void> {
  const out = createWriteStream(target, { flags: "wx", mode: 0o600, flush: true });
  const packed = create({ cwd: folder, gzip: true, portable: true, strict: true }, files);
  const zipped = packed as unknown as AsyncIterable<Buffer>;
  if (passphrase === undefined) return pipeline(zipped, out, { signal });
  const salt = randomBytes(saltBytes);
  const nonce = randomBytes(nonceBytes);
  const head = Buffer.concat([magic, salt, nonce]);
  const cipher = createCipheriv(algorithm, keyOf(passphrase, salt), nonce);
  cipher.setAAD(head);
  async function* whole(sealed: AsyncIterable<Buffer>) {
    yield head;
    yield* sealed;
    yield cipher.getAuthTag();
  }
  await pipeline(zipped, cipher, whole, out, { signal });
}

/**
 * Unpacks an archive into an empty folder; nothing but what a backup holds comes out of it.
 * @throws {BackupError} when it is no backup, damaged, cut off, or sealed with another passphrase
 */
export async function unpack(archive: string, folder: string, passphrase?: string): Promise<void> {
  const head = await begin(archive);
  let zipped = archive;
  if (head.subarray(0, magic.length).equals(magic)) {
    if (passphrase === undefined)
      throw new BackupError(
        `${archive} is sealed: give its passphrase (SOUK_BACKUP_PASSPHRASE, or --passphrase-file)`,
      );
    zipped = join(folder, "unsealed.tar.gz");
    await unseal(archive, head, zipped, passphrase);
  } else if (head[0] !== 0x1f || head[1] !== 0x8b)
    throw new BackupError(`${archive} is not a backup of Souk: neither a .tar.gz nor a sealed one`);
  try {
    await extract({
      file: zipped,
      cwd: folder,
      strict: true,
      noChmod: true,
      fmode: 0o600,
      dmode: 0o700,
      filter: (path, entry) => "type" in entry && entry.type === "File" && ours.test(path),
    });
  } catch (error) {
    throw new BackupError(
      `${archive} is damaged or cut off: ${error instanceof Error ? error.message : String(error)}`,
    );
  } finally {
    if (zipped !== archive) rmSync(zipped, { force: true });
  }
}

async function begin(archive: string): Promise<Buffer> {
  const file = await open(archive).catch((error: NodeJS.ErrnoException) => {
    throw new BackupError(
      error.code === "ENOENT" ? `There is no ${archive}` : `${archive}: ${error.message}`,
    );
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function unseal(archive: string, head: Buffer, target: string, passphrase: string): Promise<void> {
  const { size } = statSync(archive);
  const wrong = `${archive} does not open: the passphrase is another one, or the file is damaged or cut off`;
  if (size < headBytes + tagBytes) throw new BackupError(wrong);
  const salt = head.subarray(magic.length, magic.length + saltBytes);
  const tag = await ending(archive, size);
  const decipher = createDecipheriv(algorithm, keyOf(passphrase, salt), head.subarray(-nonceBytes));
  decipher.setAAD(head);
  decipher.setAuthTag(tag);
  const sealed = createReadStream(archive, { start: headBytes, end: size - tagBytes - 1 });
  try {
    await pipeline(sealed, decipher, createWriteStream(target, { mode: 0o600 }));
  } catch (error) {
    rmSync(target, { force: true });
    if (/authenticate|auth/i.test(String(error))) throw new BackupError(wrong);
    throw error;
  }
}

async function ending(archive: string, size: number): Promise<Buffer> {
  const file = await open(archive);
  try {
    return (await file.read(Buffer.alloc(tagBytes), 0, tagBytes, size - tagBytes)).buffer;
  } finally {
    await file.close();
  }
}
