import type { Env as HonoEnv, MiddlewareHandler } from "hono";
import { Problem } from "./problem.ts";

const usual = 1024 * 1024;

/**
 * Refuses bodies that are too large: at once where their length is announced, else as soon as they have become so.
 * A body passes as it comes, nothing of it is collected here.
 * @param byPath bytes, for paths whose bodies may be larger or smaller than 1 MiB
 * @param under bytes, for whatever is below these paths
 * @throws {Problem} 413
 */
export function bodyLimits<E extends HonoEnv>(
  byPath: Record<string, number>,
  under: Record<string, number> = {},
): MiddlewareHandler<E> {
  const special = new Map(Object.entries(byPath));
  const prefixes = Object.entries(under);
  const mostOf = (path: string): number =>
    special.get(path) ?? prefixes.find(([prefix]) => path.startsWith(prefix))?.[1] ?? usual;
  return async (c, next) => {
    const { headers, method } = c.req.raw;
    if (method === "GET" || method === "HEAD") return next();
    const most = mostOf(c.req.path);
    const announced = headers.get("content-length");
    if (announced !== null && !headers.has("transfer-encoding")) {
      if (Number(announced) > most) throw tooLarge(most);
      return next();
    }
    const { body } = c.req.raw;
    if (body === null) return next();
    let refused: Problem | undefined;
    let size = 0;
    const counted = body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          size += chunk.byteLength;
          if (size <= most) return controller.enqueue(chunk);
          refused = tooLarge(most);
          controller.error(refused);
        },
      }),
    );
    c.req.raw = new Request(c.req.raw, { body: counted, duplex: "half" } as RequestInit);
    await next();
    // Whoever read the body failed with an error of its own, because of this one.
    if (refused !== undefined) throw refused;
  };
}

const tooLarge = (most: number): Problem =>
  new Problem(413, { code: "body-too-large", detail: `The body may have at most ${most} bytes` });
