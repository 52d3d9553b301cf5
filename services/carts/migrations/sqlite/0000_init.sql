CREATE TABLE `products` (
	`sku` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`amount` integer NOT NULL,
	`currency` text NOT NULL,
	`kind` text NOT NULL,
	`version` integer NOT NULL,
	`deleted` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `scarce` (
	`sku` text PRIMARY KEY NOT NULL,
	`few` integer,
	`version` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `outbox_events` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
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
--> statement-breakpoint
CREATE TABLE `outbox_inbox` (
	`consumer` text NOT NULL,
	`event` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`consumer`, `event`)
);
--> statement-breakpoint
CREATE INDEX `outbox_inbox_at` ON `outbox_inbox` (`at`);
--> statement-breakpoint
CREATE TABLE `outbox_jobs` (
	`kind` text NOT NULL,
	`key` text NOT NULL,
	`at` integer NOT NULL,
	`data` text,
	`attempt` integer NOT NULL,
	`next` integer NOT NULL,
	`token` text,
	`scheduled` integer,
	PRIMARY KEY(`kind`, `key`)
);
--> statement-breakpoint
CREATE INDEX `outbox_jobs_next` ON `outbox_jobs` (`next`);
--> statement-breakpoint
CREATE TABLE `outbox_dead_letters` (
	`id` text PRIMARY KEY NOT NULL,
	`topic` text NOT NULL,
	`type` text NOT NULL,
	`reason` text NOT NULL,
	`event` text NOT NULL,
	`at` integer NOT NULL,
	`status` text DEFAULT 'dead' NOT NULL,
	`version` integer DEFAULT 1 NOT NULL,
	`history` text DEFAULT '[]' NOT NULL
);
--> statement-breakpoint
CREATE INDEX `outbox_dead_letters_at` ON `outbox_dead_letters` (`at`,`id`);
--> statement-breakpoint
CREATE TABLE `idempotency` (
	`id` text PRIMARY KEY NOT NULL,
	`request` text NOT NULL,
	`status` integer NOT NULL,
	`headers` text NOT NULL,
	`body` text,
	`at` integer NOT NULL,
	`owner` text,
	`sealed_with` text
);
--> statement-breakpoint
CREATE INDEX `idempotency_at` ON `idempotency` (`at`);
--> statement-breakpoint
CREATE INDEX `idempotency_by_seal` ON `idempotency` (`sealed_with`,`id`);
