import type { MiddlewareHandler } from "hono";

/** The header that carries the token, both from the app to the sidecar and back. */
export const TOKEN_HEADER = "dapr-api-token";

/**
 * Lets only the sidecar in: requests without `dapr-api-token: <token>` get 401. The comparison takes the same
 * time whatever was sent.
 *
 * @param token the value of `APP_API_TOKEN`; without one everybody is let in
 * @example
 * app.use(appToken(process.env.APP_API_TOKEN));
 */
export function appToken(token: string | undefined): MiddlewareHandler {
  return async function appToken(c, next) {
    if (token && !sameText(c.req.header(TOKEN_HEADER) ?? "", token)) {
      return c.json(
        { error: "This port answers only the sidecar: the dapr-api-token is missing or wrong" },
        401,
      );
    }
    await next();
  };
}

/** Compares in a time that depends on the length of `given` alone. */
export function sameText(given: string, expected: string): boolean {
  let difference = given.length ^ expected.length;
  for (let i = 0; i < given.length; i++) {
    difference |= given.charCodeAt(i) ^ expected.charCodeAt(i % expected.length);
  }
  return difference === 0;
}
