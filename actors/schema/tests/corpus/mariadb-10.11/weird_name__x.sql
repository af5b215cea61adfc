CREATE TABLE `weird.name ``x` (
  `a b` int(11) NOT NULL,
  `c``d` int(11) DEFAULT NULL,
  `select` int(11) DEFAULT NULL,
  `日本` varchar(10) DEFAULT NULL COMMENT '日本語',
  PRIMARY KEY (`a b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
