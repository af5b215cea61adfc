CREATE TABLE `numbers` (
  `id` int NOT NULL,
  `a` decimal(65,30) DEFAULT '1.500000000000000000000000000000',
  `b` decimal(10,0) unsigned DEFAULT NULL,
  `c` float DEFAULT NULL,
  `d` double DEFAULT NULL,
  `e` float(7,3) DEFAULT NULL,
  `f` double(20,5) unsigned DEFAULT NULL,
  `g` double DEFAULT NULL,
  `h` bit(1) DEFAULT b'1',
  `i` bit(64) DEFAULT NULL,
  `j` decimal(5,2) NOT NULL DEFAULT '-3.14',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
