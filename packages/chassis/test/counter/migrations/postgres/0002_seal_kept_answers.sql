ALTER TABLE "idempotency" ADD COLUMN "owner" text;
--> statement-breakpoint
ALTER TABLE "idempotency" ADD COLUMN "sealed_with" text;
--> statement-breakpoint
CREATE INDEX "idempotency_by_seal" ON "idempotency" USING btree ("sealed_with","id");
