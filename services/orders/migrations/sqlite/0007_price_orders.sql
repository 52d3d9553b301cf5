CREATE TABLE `promotions` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`code` text,
	`active` integer NOT NULL,
	`until` integer,
	`most` integer,
	`most_each` integer,
	`promotion` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `promotions_by_code` ON `promotions` (`code`);
--> statement-breakpoint
CREATE INDEX `promotions_by_time` ON `promotions` (`created_at`,`id`);
--> statement-breakpoint
CREATE TABLE `promotion_uses` (
	`promotion` text NOT NULL,
	`customer` text NOT NULL,
	`used` integer NOT NULL,
	PRIMARY KEY(`promotion`, `customer`)
);
--> statement-breakpoint
CREATE TABLE `tax_rates` (
	`country` text NOT NULL,
	`class` text NOT NULL,
	`version` integer NOT NULL,
	`basis_points` integer NOT NULL,
	`included` integer NOT NULL,
	`deleted` integer NOT NULL,
	PRIMARY KEY(`country`, `class`)
);
--> statement-breakpoint
CREATE TABLE `shipping_rates` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`rate` text
);
--> statement-breakpoint
CREATE TABLE `price_book` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL
);
