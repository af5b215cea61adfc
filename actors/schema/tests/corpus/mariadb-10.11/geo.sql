CREATE TABLE `geo` (
  `id` int(11) NOT NULL,
  `g` geometry DEFAULT NULL,
  `p` point NOT NULL,
  `l` linestring DEFAULT NULL,
  `y` polygon DEFAULT NULL,
  `mp` multipoint DEFAULT NULL,
  `gc` geometrycollection DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
