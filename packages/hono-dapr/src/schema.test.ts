import { expect, test } from "bun:test";
import * as v from "valibot";
import { describeIssues, type SchemaResult } from "./schema.ts";

const said = (schema: v.GenericSchema, value: unknown): string =>
  describeIssues((schema["~standard"].validate(value) as SchemaResult<unknown>).issues ?? []);

test("what does not fit is named by its place, and a text that came is not shown", () => {
  const schema = v.object({ kind: v.picklist(["a", "b"]), at: v.object({ count: v.number() }) });
  const shown = said(schema, { kind: 'some "secret"', at: { count: "se\ncret" } });
  expect(shown).toBe(
    'kind: Invalid type: Expected ("a" | "b") but received a text; at.count: Invalid type: Expected number but received a text',
  );
  expect(said(v.string(), 7)).toBe("Invalid type: Expected string but received 7");
});
