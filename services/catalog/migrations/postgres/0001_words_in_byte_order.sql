-- A search looks for the words between "mug" and "mug" followed by the last character there is. That is every word that
-- begins so in the order of bytes, which SQLite has anyway, but not in the order of every language.
ALTER TABLE "product_words" ALTER COLUMN "word" SET DATA TYPE text COLLATE "C";
