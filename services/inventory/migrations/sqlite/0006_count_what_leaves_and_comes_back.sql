ALTER TABLE `stock` ADD `sold` integer DEFAULT 0 NOT NULL;
--> statement-breakpoint
ALTER TABLE `stock` ADD `restocked` integer DEFAULT 0 NOT NULL;
--> statement-breakpoint
ALTER TABLE `stock` ADD `written_off` integer DEFAULT 0 NOT NULL;
--> statement-breakpoint
ALTER TABLE `reservations` ADD `shipments` text DEFAULT '[]' NOT NULL;
--> statement-breakpoint
ALTER TABLE `reservations` ADD `returns` text DEFAULT '[]' NOT NULL;
--> statement-breakpoint
ALTER TABLE `reservations` ADD `version` integer DEFAULT 1 NOT NULL;
