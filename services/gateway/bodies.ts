/** Bodies of at most so many bytes are read before they are sent on: cheaper than a stream, and they are small. */
const small = 64 * 1024;

/** A small body as a whole, any other as a stream. */
export async function bodyOf(
  request: Request,
): Promise<ArrayBuffer | Uint8Array<ArrayBuffer> | ReadableStream | undefined> {
  const length = request.headers.get("content-length");
  if (length === "0" || request.body === null) return undefined;
  if (length !== null) return Number(length) > small ? request.body : request.arrayBuffer();
  const reader = request.body.getReader();
  const read: Uint8Array[] = [];
  for (let size = 0; size <= small; ) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(read);
    size += value.byteLength;
    read.push(value);
  }
  return new ReadableStream({
    async pull(controller) {
      const before = read.shift();
      if (before) return controller.enqueue(before);
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** The answer; `ended` is called once, when it has come to its end or nobody reads it any more. */
export function untilRead(answer: Response, ended: () => void): Response {
  const reader = answer.body?.getReader();
  if (reader === undefined) {
    ended();
    return answer;
  }
  let open = true;
  const over = (): void => {
    if (open) ended();
    open = false;
  };
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        over();
        controller.close();
      } catch (error) {
        over();
        controller.error(error);
      }
    },
    async cancel(reason) {
      over();
      await reader.cancel(reason);
    },
  });
  return new Response(body, answer);
}
