import { describe, expect, test } from "bun:test";
import { dapr, onJob } from "./index.ts";
import { fakeSidecar } from "./testing/index.ts";

async function appWithJobs() {
  const fake = fakeSidecar();
  const sidecar = fake.sidecar("a");
  const ran: unknown[] = [];
  const note = onJob("report", (data) => void ran.push([fake.clock.now() - start, data]));
  const start = fake.clock.now();
  await fake.start("a", sidecar.subscriptions([note]));
  return { fake, jobs: sidecar.jobs, ran };
}

describe("jobs", () => {
  test("run once at their time", async () => {
    const { fake, jobs, ran } = await appWithJobs();
    await jobs.schedule("report", { dueTime: "1m30s", data: { id: 7 } });
    expect(await jobs.get("report")).toEqual({ name: "report", dueTime: "1m30s", data: { id: 7 } });
    await fake.clock.advance(89_999);
    expect(ran).toEqual([]);
    await fake.clock.advance(1);
    expect(ran).toEqual([[90_000, { id: 7 }]]);
    expect(await jobs.get("report")).toBeNull();
  });

  test("run again and again, as often as allowed", async () => {
    const { fake, jobs, ran } = await appWithJobs();
    await jobs.schedule("report", { schedule: "@every 5s", repeats: 2 });
    await fake.clock.advance(60_000);
    expect(ran).toEqual([
      [5_000, null],
      [10_000, null],
    ]);
  });

  test("are replaced only on demand, and deleted", async () => {
    const { fake, jobs, ran } = await appWithJobs();
    await jobs.schedule("report", { dueTime: "1s", data: 1 });
    await expect(jobs.schedule("report", { dueTime: "2s", data: 2 })).rejects.toMatchObject({ status: 409 });
    await jobs.schedule("report", { dueTime: "2s", data: 2, overwrite: true });
    await fake.clock.advance(2_000);
    expect(ran).toEqual([[2_000, 2]]);
    await jobs.schedule("report", { dueTime: "1s" });
    await jobs.delete("report");
    await jobs.delete("report");
    await fake.clock.advance(2_000);
    expect(ran).toHaveLength(1);
  });

  test("that the scheduler refuses are errors", async () => {
    const message = "failed to schedule job due to: scheduler clients are disabled";
    const body = { errorCode: "DAPR_SCHEDULER_SCHEDULE_JOB", message };
    const sidecar = dapr({
      endpoint: "http://sidecar",
      fetch: async () => Response.json(body, { status: 500 }),
    });
    await expect(sidecar.jobs.schedule("a", { dueTime: "1s" })).rejects.toThrow(message);
    await expect(sidecar.jobs.get("a")).rejects.toThrow(message);
    await expect(sidecar.jobs.delete("a")).rejects.toThrow(message);
  });
});
