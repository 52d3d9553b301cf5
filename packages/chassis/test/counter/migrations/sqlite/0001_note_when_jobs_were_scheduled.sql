ALTER TABLE `outbox_jobs` ADD `scheduled` integer;
