ALTER TABLE "outbox_dead_letters" ADD COLUMN "status" text DEFAULT 'dead' NOT NULL;
--> statement-breakpoint
ALTER TABLE "outbox_dead_letters" ADD COLUMN "version" bigint DEFAULT 1 NOT NULL;
--> statement-breakpoint
ALTER TABLE "outbox_dead_letters" ADD COLUMN "history" text DEFAULT '[]' NOT NULL;
--> statement-breakpoint
CREATE INDEX "idempotency_at" ON "idempotency" USING btree ("at");
