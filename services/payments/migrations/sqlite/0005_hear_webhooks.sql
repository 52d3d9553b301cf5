CREATE TABLE `webhooks` (
	`id` text PRIMARY KEY NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `webhooks_at` ON `webhooks` (`at`);
--> statement-breakpoint
CREATE TABLE `found_references` (
	`order_id` text PRIMARY KEY NOT NULL,
	`reference` text NOT NULL
);
