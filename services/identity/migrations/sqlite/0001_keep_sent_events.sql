CREATE TABLE `outbox_sent` (
	`seq` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`topic` text NOT NULL,
	`type` text NOT NULL,
	`key` text NOT NULL,
	`data` text NOT NULL,
	`time` text NOT NULL,
	`headers` text,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `outbox_sent_at` ON `outbox_sent` (`at`);
