CREATE TABLE m (a timestamp, b timestamp, c timestamp(3) NULL, d int CHECK (d > 0), e int REFERENCES bb (b), CHECK (d < 5))
CREATE TABLE m1 (a timestamp DEFAULT 0, b timestamp, c timestamp ON UPDATE CURRENT_TIMESTAMP)
ALTER TABLE m ADD f timestamp, MODIFY b timestamp NOT NULL
CREATE TABLE n (a int, b varchar(3), c date, PRIMARY KEY (a, b, c))
CREATE TABLE o (a int, FOREIGN KEY iname (a) REFERENCES bb (b))
