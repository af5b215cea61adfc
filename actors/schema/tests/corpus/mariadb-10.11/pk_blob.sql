CREATE TABLE `pk_blob` (
  `a` blob NOT NULL,
  `b` int(11) NOT NULL,
  PRIMARY KEY (`a`(20),`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
