CREATE TABLE `part_named_hash` (
  `a` int(11) NOT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
 PARTITION BY HASH (`a`)
(PARTITION `hx` ENGINE = InnoDB,
 PARTITION `hy` COMMENT = 'c' ENGINE = InnoDB)
