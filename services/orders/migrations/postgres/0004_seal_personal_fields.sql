ALTER TABLE "orders" ADD COLUMN "customer_key" text;
--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "sealed_with" text;
--> statement-breakpoint
ALTER TABLE "idempotency" ADD COLUMN "owner" text;
--> statement-breakpoint
ALTER TABLE "idempotency" ADD COLUMN "sealed_with" text;
--> statement-breakpoint
CREATE INDEX "orders_by_customer" ON "orders" USING btree ("customer_key","placed_at");
--> statement-breakpoint
CREATE INDEX "orders_by_seal" ON "orders" USING btree ("sealed_with","id");
--> statement-breakpoint
CREATE INDEX "idempotency_by_seal" ON "idempotency" USING btree ("sealed_with","id");
