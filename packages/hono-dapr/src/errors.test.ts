import { describe, expect, test } from "bun:test";
import { errorOf } from "./errors.ts";

const read = async (body: string, status = 500) => {
  const { name, message, errorCode, status: code } = await errorOf(new Response(body, { status }), "Reading");
  return { name, message, errorCode, code };
};

describe("an error of the sidecar", () => {
  test("has Dapr's code and words", async () => {
    expect(await read('{"errorCode":"ERR_X","message":"is not found"}', 404)).toEqual({
      name: "DaprError",
      message: "Reading: is not found",
      errorCode: "ERR_X",
      code: 404,
    });
  });

  test.each([
    ["invalid api token\n", "Reading: invalid api token\n"],
    ["", "Reading: the sidecar answered 500"],
    ["[1]", "Reading: the sidecar answered 500"],
    ["7", "Reading: 7"],
    ['{"error":"no"}', "Reading: no"],
  ])("is one too when it says %j", async (body, message) => {
    expect(await read(body)).toMatchObject({ message, errorCode: "" });
  });
});
