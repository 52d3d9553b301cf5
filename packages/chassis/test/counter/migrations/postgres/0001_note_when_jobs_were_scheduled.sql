ALTER TABLE "outbox_jobs" ADD COLUMN "scheduled" bigint;
