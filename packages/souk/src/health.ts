export interface HealthWatch {
  /** As its sidecar asks it. */
  url: string;
  intervalMs: number;
  timeoutMs: number;
  /** So many failures in a row: it is down. */
  threshold: number;
  /** Told once each time that it goes down; not before it was up for the first time. */
  onDown(): void;
}

/** Asks a service whether it is healthy, again and again. @returns what ends it */
export function watchHealth({ intervalMs, onDown, threshold, timeoutMs, url }: HealthWatch): () => void {
  let [up, failures, asking] = [false, 0, false];
  const ask = async () => {
    if (asking) return;
    asking = true;
    const healthy = await isHealthy(url, timeoutMs);
    asking = false;
    failures = healthy ? 0 : failures + 1;
    if (healthy) up = true;
    else if (up && failures >= threshold) {
      up = false;
      onDown();
    }
  };
  const timer = setInterval(() => void ask(), intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

async function isHealthy(url: string, withinMs: number): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(withinMs) });
    await response.arrayBuffer();
    return response.ok;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}
