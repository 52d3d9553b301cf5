CREATE TABLE "users" (
	"id" text PRIMARY KEY NOT NULL,
	"version" bigint NOT NULL,
	"email_key" text NOT NULL,
	"email" text NOT NULL,
	"email_verified" boolean NOT NULL,
	"pending_key" text,
	"pending_email" text,
	"name" text NOT NULL,
	"role" text NOT NULL,
	"language" text NOT NULL,
	"password_hash" text NOT NULL,
	"created_at" bigint NOT NULL,
	"valid_from" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "mail_links" (
	"digest" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"purpose" text NOT NULL,
	"email_key" text NOT NULL,
	"expires_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tallies" (
	"key" text PRIMARY KEY NOT NULL,
	"version" bigint NOT NULL,
	"times" jsonb NOT NULL,
	"until" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "admins" (
	"role" text PRIMARY KEY NOT NULL,
	"holders" bigint NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX "users_by_email" ON "users" USING btree ("email_key");
--> statement-breakpoint
CREATE INDEX "users_by_time" ON "users" USING btree ("created_at","id");
--> statement-breakpoint
CREATE INDEX "mail_links_by_user" ON "mail_links" USING btree ("user_id");
--> statement-breakpoint
CREATE INDEX "mail_links_by_end" ON "mail_links" USING btree ("expires_at");
--> statement-breakpoint
CREATE INDEX "tallies_by_end" ON "tallies" USING btree ("until");
