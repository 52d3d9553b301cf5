ALTER TABLE "webhooks" ADD COLUMN "sealed_with" text;
--> statement-breakpoint
CREATE INDEX "webhooks_by_key" ON "webhooks" USING btree ("sealed_with","id");
