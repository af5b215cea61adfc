CREATE TABLE `generated` (
  `a` int(11) NOT NULL,
  `b` int(11) GENERATED ALWAYS AS (`a` + 1) VIRTUAL,
  `c` varchar(50) GENERATED ALWAYS AS (concat('x\'',`a`)) STORED COMMENT 'gc',
  `d` int(11) GENERATED ALWAYS AS (`a` * 2) STORED,
  PRIMARY KEY (`a`),
  KEY `kd` (`d`),
  KEY `kc` (`c`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
