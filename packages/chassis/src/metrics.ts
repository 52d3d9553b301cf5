import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** The metrics of one service process, in the names of OpenTelemetry's HTTP conventions where there is one. */
export interface Metrics {
  http: Histogram<"method" | "route" | "status">;
  reactions: Counter<"type" | "result">;
  /** Asks for what has to be looked up at the time of scraping. */
  watch(pending: () => Promise<{ outbox: number; jobs: number; oldestOutboxAgeMs: number }>): void;
  /** Prometheus text exposition. */
  text(): Promise<string>;
  contentType: string;
}

export function createMetrics(service: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  const registers = [registry];
  const http = new Histogram({
    name: "http_server_request_duration_seconds",
    help: "Time from request to answer",
    labelNames: ["method", "route", "status"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  });
  const reactions = new Counter({
    name: "souk_reactions_total",
    help: "Events taken in, by what became of them",
    labelNames: ["type", "result"],
    registers,
  });
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory",
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  return {
    http,
    reactions,
    contentType: registry.contentType,
    text: () => registry.metrics(),
    watch(pending) {
      const outbox = new Gauge({
        name: "souk_outbox_pending",
        help: "Events committed and not yet sent",
        registers,
      });
      const jobs = new Gauge({ name: "souk_jobs_pending", help: "Jobs that wait for their time", registers });
      new Gauge({
        name: "souk_outbox_oldest_seconds",
        help: "Age of the oldest event that is not yet sent",
        registers,
        async collect() {
          const now = await pending();
          outbox.set(now.outbox);
          jobs.set(now.jobs);
          this.set(now.oldestOutboxAgeMs / 1000);
        },
      });
    },
  };
}
