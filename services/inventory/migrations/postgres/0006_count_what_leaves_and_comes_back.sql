ALTER TABLE "stock" ADD COLUMN "sold" bigint DEFAULT 0 NOT NULL;
--> statement-breakpoint
ALTER TABLE "stock" ADD COLUMN "restocked" bigint DEFAULT 0 NOT NULL;
--> statement-breakpoint
ALTER TABLE "stock" ADD COLUMN "written_off" bigint DEFAULT 0 NOT NULL;
--> statement-breakpoint
ALTER TABLE "reservations" ADD COLUMN "shipments" jsonb DEFAULT '[]'::jsonb NOT NULL;
--> statement-breakpoint
ALTER TABLE "reservations" ADD COLUMN "returns" jsonb DEFAULT '[]'::jsonb NOT NULL;
--> statement-breakpoint
ALTER TABLE "reservations" ADD COLUMN "version" bigint DEFAULT 1 NOT NULL;
