CREATE TABLE "outbox_sent" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"id" text NOT NULL,
	"topic" text NOT NULL,
	"type" text NOT NULL,
	"key" text NOT NULL,
	"data" text NOT NULL,
	"time" text NOT NULL,
	"headers" text,
	"at" bigint NOT NULL
);
--> statement-breakpoint
CREATE INDEX "outbox_sent_at" ON "outbox_sent" USING btree ("at");
