/** An error as daprd answers it. */
export const problem = (status: number, errorCode: string, message: string): Response =>
  Response.json({ errorCode, message }, { status });
