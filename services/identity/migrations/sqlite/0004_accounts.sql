CREATE TABLE `users` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`email_key` text NOT NULL,
	`email` text NOT NULL,
	`email_verified` integer NOT NULL,
	`pending_key` text,
	`pending_email` text,
	`name` text NOT NULL,
	`role` text NOT NULL,
	`language` text NOT NULL,
	`password_hash` text NOT NULL,
	`created_at` integer NOT NULL,
	`valid_from` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `users_by_email` ON `users` (`email_key`);
--> statement-breakpoint
CREATE INDEX `users_by_time` ON `users` (`created_at`,`id`);
--> statement-breakpoint
CREATE TABLE `mail_links` (
	`digest` text PRIMARY KEY NOT NULL,
	`user_id` text NOT NULL,
	`purpose` text NOT NULL,
	`email_key` text NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `mail_links_by_user` ON `mail_links` (`user_id`);
--> statement-breakpoint
CREATE INDEX `mail_links_by_end` ON `mail_links` (`expires_at`);
--> statement-breakpoint
CREATE TABLE `tallies` (
	`key` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`times` text NOT NULL,
	`until` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `tallies_by_end` ON `tallies` (`until`);
--> statement-breakpoint
CREATE TABLE `admins` (
	`role` text PRIMARY KEY NOT NULL,
	`holders` integer NOT NULL
);
