import { type Kit, UnknownKey } from "chassis";

type Room = Pick<Kit<unknown>, "sealed" | "now" | "log">;

/** The keys are read again after so long when something is sealed, and when something names one that is not known. */
const holdsFor = { sealing: 60_000, opening: 1_000 };
const readAt = new WeakMap<Room["sealed"], number>();

/** Encrypts with the key that is in use now, as {@link Kit.sealed} does. */
export async function seal(room: Room, text: string, where: string, id: string): Promise<string> {
  await keys(room, holdsFor.sealing);
  return room.sealed.seal(text, where, id);
}

/** Nothing for what does not open: its key is gone, or somebody changed it. */
export async function unseal(
  room: Room,
  value: string,
  where: string,
  id: string,
): Promise<string | undefined> {
  await room.sealed.ready();
  try {
    return room.sealed.open(value, where, id);
  } catch (error) {
    if (!(error instanceof UnknownKey)) return undefined;
  }
  // Another gateway may have read a newer key already.
  await keys(room, holdsFor.opening);
  try {
    return room.sealed.open(value, where, id);
  } catch (error) {
    room.log.warn({ err: String(error) }, "something sealed does not open");
    return undefined;
  }
}

async function keys({ sealed, now }: Room, age: number): Promise<void> {
  await sealed.ready();
  const at = readAt.get(sealed);
  if (at !== undefined && Math.abs(now() - at) < age) return;
  readAt.set(sealed, now());
  await sealed.refresh();
}
