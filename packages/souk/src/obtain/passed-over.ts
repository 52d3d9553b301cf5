/** One of the ways does not serve here; its message says why, and the next way is tried. */
export class PassedOver extends Error {
  override name = "PassedOver";
}

/** The result of a way, or null when it was passed over: then its reason is said and kept for the final message. */
export async function attempt<T>(
  way: string,
  reasons: string[],
  say: (text: string) => void,
  body: () => Promise<T>,
): Promise<T | null> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof PassedOver)) throw error;
    reasons.push(`${way}: ${error.message}`);
    say(`${way}: ${error.message}`);
    return null;
  }
}
