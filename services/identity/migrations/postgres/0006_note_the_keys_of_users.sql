ALTER TABLE "users" ADD COLUMN "sealed_with" text;
--> statement-breakpoint
ALTER TABLE "idempotency" ADD COLUMN "owner" text;
--> statement-breakpoint
ALTER TABLE "idempotency" ADD COLUMN "sealed_with" text;
--> statement-breakpoint
CREATE INDEX "users_by_key" ON "users" USING btree ("sealed_with","id");
--> statement-breakpoint
CREATE INDEX "idempotency_by_seal" ON "idempotency" USING btree ("sealed_with","id");
