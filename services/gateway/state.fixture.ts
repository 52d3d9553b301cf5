/** A state store as a sidecar offers it, as far as the gateway uses it, for several gateways at once. */
export function sharedState() {
  const kept = new Map<string, { value: unknown; version: number }>();
  let versions = 0;
  let down = false;
  const refuse = (status: number, errorCode: string): Response =>
    Response.json({ errorCode, message: errorCode }, { status });

  async function answer(request: Request): Promise<Response> {
    if (down) return refuse(500, "ERR_STATE_GET");
    const key = decodeURIComponent(new URL(request.url).pathname.split("/")[4] ?? "");
    if (request.method === "GET") {
      const found = kept.get(key);
      if (!found) return new Response(null, { status: 204 });
      return Response.json(found.value, { headers: { etag: String(found.version) } });
    }
    if (request.method === "DELETE") {
      const tag = request.headers.get("if-match");
      if (tag !== null && tag !== String(kept.get(key)?.version)) return refuse(409, "ERR_STATE_DELETE");
      kept.delete(key);
      return new Response(null, { status: 204 });
    }
    const items = (await request.json()) as { key: string; value: unknown; etag?: string }[];
    for (const { key: name, value, etag } of items) {
      const before = kept.get(name);
      // Only where nothing is, or only over the version that was read.
      const fits = etag === undefined || (etag === "-1" ? !before : etag === String(before?.version));
      if (!fits) return refuse(409, "ERR_STATE_SAVE");
      // An encrypted store is given JSON as text, and gives back what the text says.
      kept.set(name, { value: JSON.parse(String(value)), version: ++versions });
    }
    return new Response(null, { status: 204 });
  }

  return {
    answer,
    /** What is kept, as text: what somebody who reads the store would see. */
    text: () => JSON.stringify([...kept]),
    keys: () => [...kept.keys()],
    /** Puts each of two values in the place of the other. */
    swap() {
      const [[a, one], [b, other]] = [...kept] as [[string, never], [string, never]];
      kept.set(a, other).set(b, one);
    },
    outage(now: boolean) {
      down = now;
    },
  };
}
