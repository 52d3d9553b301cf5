CREATE TABLE `consignments` (
	`order_id` text PRIMARY KEY NOT NULL,
	`customer_id` text,
	`version` integer NOT NULL,
	`state` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `shipments` (
	`id` text PRIMARY KEY NOT NULL,
	`order_id` text NOT NULL,
	`customer_id` text,
	`version` integer NOT NULL,
	`made_at` integer NOT NULL,
	`status` text NOT NULL,
	`carrier` text,
	`tracking` text,
	`state` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `shipments_by_time` ON `shipments` (`made_at`,`id`);
--> statement-breakpoint
CREATE INDEX `shipments_by_order` ON `shipments` (`order_id`);
--> statement-breakpoint
CREATE INDEX `shipments_by_status` ON `shipments` (`status`,`made_at`,`id`);
--> statement-breakpoint
CREATE INDEX `shipments_by_customer` ON `shipments` (`customer_id`,`made_at`);
--> statement-breakpoint
CREATE INDEX `shipments_by_tracking` ON `shipments` (`tracking`);
--> statement-breakpoint
CREATE TABLE `rates` (
	`country` text NOT NULL,
	`method` text NOT NULL,
	`version` integer NOT NULL,
	`rate` text,
	PRIMARY KEY(`country`, `method`)
);
--> statement-breakpoint
CREATE TABLE `messages` (
	`id` text PRIMARY KEY NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `messages_at` ON `messages` (`at`);
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
