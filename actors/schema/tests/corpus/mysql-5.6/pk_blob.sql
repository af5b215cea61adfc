CREATE TABLE `pk_blob` (
  `a` blob NOT NULL,
  `b` int(11) NOT NULL DEFAULT '0',
  PRIMARY KEY (`a`(20),`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
