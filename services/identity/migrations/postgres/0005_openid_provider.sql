CREATE TABLE "provider_state" (
	"kind" text NOT NULL,
	"id" text NOT NULL,
	"grant_key" text,
	"uid_key" text,
	"account" text,
	"sealed" text NOT NULL,
	"consumed_at" bigint,
	"expires_at" bigint NOT NULL,
	CONSTRAINT "provider_state_kind_id_pk" PRIMARY KEY("kind","id")
);
--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "settings" jsonb;
--> statement-breakpoint
ALTER TABLE "signing_keys" ADD COLUMN "signs_from" bigint;
--> statement-breakpoint
CREATE INDEX "provider_state_grant" ON "provider_state" USING btree ("grant_key");
--> statement-breakpoint
CREATE INDEX "provider_state_uid" ON "provider_state" USING btree ("uid_key");
--> statement-breakpoint
CREATE INDEX "provider_state_account" ON "provider_state" USING btree ("account");
--> statement-breakpoint
CREATE INDEX "provider_state_expiry" ON "provider_state" USING btree ("expires_at");
