CREATE TABLE `reconciliations` (
	`id` text PRIMARY KEY NOT NULL,
	`started_at` integer NOT NULL,
	`ended_at` integer,
	`since` integer NOT NULL,
	`compared` integer NOT NULL,
	`different` integer NOT NULL,
	`differences` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `reconciliations_started_at` ON `reconciliations` (`started_at`,`id`);
--> statement-breakpoint
ALTER TABLE `payments` ADD `expires_at` integer;
--> statement-breakpoint
ALTER TABLE `payments` ADD `touched_at` integer;
--> statement-breakpoint
CREATE INDEX `payments_expires_at` ON `payments` (`expires_at`) WHERE "payments"."expires_at" is not null;
--> statement-breakpoint
CREATE INDEX `payments_touched_at` ON `payments` (`touched_at`);
