CREATE TABLE `provider_state` (
	`kind` text NOT NULL,
	`id` text NOT NULL,
	`grant_key` text,
	`uid_key` text,
	`account` text,
	`sealed` text NOT NULL,
	`consumed_at` integer,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`kind`, `id`)
);
--> statement-breakpoint
CREATE INDEX `provider_state_grant` ON `provider_state` (`grant_key`);
--> statement-breakpoint
CREATE INDEX `provider_state_uid` ON `provider_state` (`uid_key`);
--> statement-breakpoint
CREATE INDEX `provider_state_account` ON `provider_state` (`account`);
--> statement-breakpoint
CREATE INDEX `provider_state_expiry` ON `provider_state` (`expires_at`);
--> statement-breakpoint
ALTER TABLE `clients` ADD `settings` text;
--> statement-breakpoint
ALTER TABLE `signing_keys` ADD `signs_from` integer;
