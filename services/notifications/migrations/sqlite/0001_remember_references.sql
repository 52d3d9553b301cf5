ALTER TABLE `contacts` ADD `reference` text;
