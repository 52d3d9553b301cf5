CREATE TABLE "reconciliations" (
	"id" text PRIMARY KEY NOT NULL,
	"started_at" bigint NOT NULL,
	"ended_at" bigint,
	"since" bigint NOT NULL,
	"compared" bigint NOT NULL,
	"different" bigint NOT NULL,
	"differences" jsonb NOT NULL
);
--> statement-breakpoint
ALTER TABLE "payments" ADD COLUMN "expires_at" bigint;
--> statement-breakpoint
ALTER TABLE "payments" ADD COLUMN "touched_at" bigint;
--> statement-breakpoint
CREATE INDEX "reconciliations_started_at" ON "reconciliations" USING btree ("started_at","id");
--> statement-breakpoint
CREATE INDEX "payments_expires_at" ON "payments" USING btree ("expires_at") WHERE "payments"."expires_at" is not null;
--> statement-breakpoint
CREATE INDEX "payments_touched_at" ON "payments" USING btree ("touched_at");
